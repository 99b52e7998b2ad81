// Typing: who else types, until they have not said so for a while; and telling the others that we do.

/** How long somebody types after they last said so, in milliseconds. */
const LASTS = 5000;
/** How often we say it, in milliseconds. */
const EVERY = 3000;

/** Who types in a room. */
export class Typing {
  private until = new Map<string, ReturnType<typeof setTimeout>>();
  private toldAt = -Infinity;

  constructor(
    private readonly changed: () => void,
    private readonly tell: () => void,
  ) {}

  /** Who does, in the order in which they began. */
  users(): string[] {
    return [...this.until.keys()];
  }

  /** Somebody says that they do. */
  heard(user: string): void {
    const before = this.until.get(user);
    clearTimeout(before);
    this.until.set(user, setTimeout(() => this.spoke(user), LASTS));
    if (before === undefined) this.changed();
  }

  /** Somebody has said what they typed, or does not type any more. */
  spoke(user: string): void {
    const before = this.until.get(user);
    if (before === undefined) return;
    clearTimeout(before);
    this.until.delete(user);
    this.changed();
  }

  /** We type. */
  typed(): void {
    const now = Date.now();
    if (now - this.toldAt < EVERY) return;
    this.toldAt = now;
    this.tell();
  }

  /** We have sent it: what we type next is told at once. */
  sent(): void {
    this.toldAt = -Infinity;
  }

  /** Nobody does. */
  clear(): void {
    for (const timer of this.until.values()) clearTimeout(timer);
    this.until.clear();
  }
}
