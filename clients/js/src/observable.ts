// Something that can be watched: a snapshot that stays the same object until something changes, and who is told then.

/** What `useSyncExternalStore` of React wants, and everything else can use. */
export abstract class Observable<View> {
  private listeners = new Set<() => void>();
  private current?: View;
  private telling = false;

  /** Calls `listener` after each change, until what it returns is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** What there is to see now. */
  readonly snapshot = (): View => (this.current ??= this.view());

  /** Makes the next snapshot. */
  protected abstract view(): View;

  /** Something has changed; listeners are told once for all that changes in one go. */
  protected changed(): void {
    this.current = undefined;
    if (this.telling) return;
    this.telling = true;
    queueMicrotask(() => {
      this.telling = false;
      for (const listener of [...this.listeners]) listener();
    });
  }
}
