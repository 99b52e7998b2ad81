// How the web client is built: relative to wherever a proxy has put the hub, with a hash in every name.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const hub = process.env.CONFAB_HUB ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: { target: "es2022", assetsInlineLimit: 0, emptyOutDir: false, modulePreload: { polyfill: false } },
  // `npm run dev -w web` has the page here and talks to a hub that runs: cargo xtask run
  server: { proxy: { "/connection": { target: hub, ws: true, changeOrigin: true, rewriteWsOrigin: true } } },
});
