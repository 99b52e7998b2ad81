// The whole of it: whoever has not said who they are is asked; everybody else chats.
import { Confab } from "@confab/client";
import { ConfabProvider } from "@confab/react";
import { useEffect, useState } from "react";
import { Chat } from "./Chat";
import { BY_NAME, HUB, remember, rolesOf, signedIn, type SignedIn } from "./session";
import { SignIn } from "./SignIn";

interface Session {
  confab: Confab;
  roles: string[];
}

function begin(who: SignedIn): Session {
  return { confab: new Confab({ url: HUB, ...who }), roles: rolesOf(who) };
}

export function App() {
  const [session, setSession] = useState<Session | undefined>(() => {
    const who = signedIn();
    return who && begin(who);
  });
  const [reason, setReason] = useState<string>();

  useEffect(() => {
    if (!session) return;
    const { confab } = session;
    confab.connect();
    const stop = confab.subscribe(() => {
      const { state, code, reason } = confab.snapshot();
      if (state !== "closed" || !refusesWhoWeAre(code)) return;
      remember(undefined);
      setReason(reason);
      setSession(undefined);
    });
    return () => {
      stop();
      confab.disconnect();
    };
  }, [session]);

  if (!session) {
    return (
      <SignIn
        byName={BY_NAME}
        reason={reason}
        onSignIn={(who) => {
          remember(who);
          setReason(undefined);
          setSession(begin(who));
        }}
      />
    );
  }
  const leave = () => {
    remember(undefined);
    setSession(undefined);
  };
  return (
    <ConfabProvider value={session.confab}>
      <Chat roles={session.roles} onSignOut={leave} />
    </ConfabProvider>
  );
}

/** Whether a close, or an answer to `connect`, says that this token or name is no good; 1 is centrifuge's own for a token that ran out. */
function refusesWhoWeAre(code: number | undefined): boolean {
  return code !== undefined && [1, 101, 103, 109, 211, 3500, 3503, 3507].includes(code);
}
