// Storage: what is kept over a reload, in IndexedDB where there is one, else in memory.

/** Where a client keeps what it has not sent yet, and how far rooms were read. Values are plain data. */
export interface Storage {
  /** Everything whose name begins so, sorted by name. */
  all(prefix: string): Promise<[string, unknown][]>;
  put(name: string, value: unknown): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Keeps it as long as the process lives. */
export class MemoryStorage implements Storage {
  private kept = new Map<string, unknown>();

  async all(prefix: string): Promise<[string, unknown][]> {
    return [...this.kept].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async put(name: string, value: unknown): Promise<void> {
    this.kept.set(name, structuredClone(value));
  }

  async remove(name: string): Promise<void> {
    this.kept.delete(name);
  }
}

const STORE = "kept";

/** Keeps it in the browser, in a database of that name. Where that fails, as in some private windows, memory does. */
export class BrowserStorage implements Storage {
  private readonly opened: Promise<IDBDatabase | undefined>;
  private readonly memory = new MemoryStorage();

  constructor(name = "confab") {
    this.opened = open(name).catch(() => undefined);
  }

  async all(prefix: string): Promise<[string, unknown][]> {
    const db = await this.opened;
    if (!db) return this.memory.all(prefix);
    const store = db.transaction(STORE).objectStore(STORE);
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [names, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
    return names.map((name, i) => [String(name), values[i]]);
  }

  put(name: string, value: unknown): Promise<void> {
    return this.write((store) => store.put(value, name), () => this.memory.put(name, value));
  }

  remove(name: string): Promise<void> {
    return this.write((store) => store.delete(name), () => this.memory.remove(name));
  }

  private async write(change: (store: IDBObjectStore) => void, otherwise: () => Promise<void>): Promise<void> {
    const db = await this.opened;
    if (!db) return otherwise();
    const transaction = db.transaction(STORE, "readwrite");
    change(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("the browser could not keep it"));
    });
  }
}

function open(name: string): Promise<IDBDatabase> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  return done(opening);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser refused"));
  });
}

/** The browser's, where there is one. */
export function defaultStorage(): Storage {
  return typeof indexedDB === "undefined" ? new MemoryStorage() : new BrowserStorage();
}
