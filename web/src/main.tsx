// Where the web client begins.
import "@fontsource-variable/inter/wght.css";
import "./tokens.css";
import "./base.css";
import "./layout.css";
import "./messages.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { showTheme, theme } from "./session";

showTheme(theme());
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
