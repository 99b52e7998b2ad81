// Signing in: by a name where the hub runs for development, else by a token.
import { useId, useState, type FormEvent } from "react";
import type { SignedIn } from "./session";

export function SignIn({ byName, reason, onSignIn }: { byName: boolean; reason?: string; onSignIn: (who: SignedIn) => void }) {
  const [given, setGiven] = useState("");
  const [problem, setProblem] = useState(reason);
  const id = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = given.trim();
    if (!text) setProblem(byName ? "Type a name first." : "Paste a token first.");
    else if (!byName && text.split(".").length !== 3) setProblem("That is no token: one has three parts, divided by dots.");
    else if (byName && /^(plugin|api):/.test(text)) setProblem("Names that begin so are kept for programs.");
    else onSignIn(byName ? { user: text } : { token: text });
  };
  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit} noValidate>
        <Logo />
        <h1>Sign in to Confab</h1>
        <p className="soft">
          {byName ? "This hub runs for development: it believes whoever you say you are." : "Paste the token that your application gave you."}
        </p>
        <label htmlFor={id}>{byName ? "Your name" : "Token"}</label>
        <input
          id={id}
          value={given}
          onChange={(event) => setGiven(event.target.value)}
          autoFocus
          autoComplete="off"
          spellCheck={false}
          maxLength={byName ? 100 : undefined}
          aria-invalid={!!problem}
          aria-describedby={`${id}-problem`}
        />
        <p id={`${id}-problem`} className="problem" role="alert">{problem}</p>
        <button className="primary wide" type="submit">Start chatting</button>
      </form>
    </main>
  );
}

function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="44" height="44" aria-hidden="true">
      <rect width="32" height="32" rx="9" className="logo-back" />
      <path className="logo-bubble" d="M9 9.500h14a2.500 2.500 0 0 1 2.500 2.500v7a2.500 2.500 0 0 1-2.500 2.500h-7.200L11 25.500v-4H9A2.500 2.500 0 0 1 6.500 19v-7A2.500 2.500 0 0 1 9 9.500Z" />
      <g className="logo-back"><circle cx="12" cy="15.500" r="1.400" /><circle cx="16" cy="15.500" r="1.400" /><circle cx="20" cy="15.500" r="1.400" /></g>
    </svg>
  );
}
