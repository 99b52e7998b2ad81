// Places: which numbering of a room, and which number in it. The hub calls a place a cursor.

/** Where an event stands in its room: 1, 2, 3 … within an epoch. Epochs sort as text. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** Below zero if `a` stands before `b`, above zero if behind, zero if they are the same place. */
export function compare(a: Place, b: Place): number {
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  return a.offset - b.offset;
}

/** The later of two places. */
export function later(a: Place | undefined, b: Place | undefined): Place | undefined {
  if (!a || !b) return a ?? b;
  return compare(a, b) < 0 ? b : a;
}
