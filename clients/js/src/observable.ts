// Something that can be watched: a snapshot that stays the same object until something changes, and who is told then.

/** How long listeners are left alone after they were told, in milliseconds: nobody sees more, and much may change in it. */
const PAUSE = 40;

/** What `useSyncExternalStore` of React wants, and everything else can use. */
export abstract class Observable<View> {
  private listeners = new Set<() => void>();
  private current?: View;
  private telling = false;
  private toldAt = 0;

  /** Calls `listener` after each change, until what it returns is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** What there is to see now. */
  readonly snapshot = (): View => (this.current ??= this.view());

  /** Makes the next snapshot. */
  protected abstract view(): View;

  /** Something has changed. Listeners are told at once, and then once for all that changes in the next moment. */
  protected changed(): void {
    this.current = undefined;
    if (this.telling) return;
    this.telling = true;
    const wait = this.toldAt + PAUSE - Date.now();
    if (wait > 0) setTimeout(() => this.tell(), wait);
    else queueMicrotask(() => this.tell());
  }

  private tell(): void {
    this.telling = false;
    this.toldAt = Date.now();
    for (const listener of [...this.listeners]) listener();
  }
}
