// Refusals: the hub's answers that something was not done, and those of the way there.
import { REFUSALS, type RefusalName } from "./generated.js";

/** Something was not done. */
export class Refused extends Error {
  constructor(
    /** The number, as docs/reference/codes.md lists them; below 100 it is the connection's own. */
    readonly code: number,
    message: string,
    /** Whether it may be answered otherwise later: ask again with the same key. */
    readonly temporary: boolean,
  ) {
    super(message);
    this.name = "Refused";
  }

  /** What it is called: `plugin` for a plugin's own codes, `connection` if the answer never came. */
  get kind(): RefusalName | "plugin" | "connection" {
    if (this.code < 100) return "connection";
    return REFUSALS[this.code as keyof typeof REFUSALS] ?? "plugin";
  }

  /** How long to wait before it is tried again, in milliseconds, where the hub says so. */
  get retryAfter(): number | undefined {
    const said = /try again in (\d+) ms/.exec(this.message);
    return said ? Number(said[1]) : undefined;
  }

  /** The id of the event that was set aside for a moderator, and what the plugin said about it. */
  get held(): { id: string; reason: string } | undefined {
    const said = this.code === 206 ? /([0-9a-f]{8}-[0-9a-f-]{27})(?:: (.*))?$/s.exec(this.message) : null;
    return said ? { id: said[1] ?? "", reason: said[2] ?? "" } : undefined;
  }

  /** Whatever was thrown by a call, as a refusal. */
  static from(error: unknown): Refused {
    if (error instanceof Refused) return error;
    const { code = 0, message, temporary } = (error ?? {}) as { code?: number; message?: string; temporary?: boolean };
    return new Refused(code, message ?? String(error), temporary ?? code < 100);
  }
}
