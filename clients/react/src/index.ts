// @confab/react: hooks for @confab/client.
import type { Confab, ConnectionView, Observable, Room, RoomView, Shown } from "@confab/client";
import { createContext, useContext, useEffect, useSyncExternalStore } from "react";

const Context = createContext<Confab | undefined>(undefined);

/** Gives the hooks below their client: `<ConfabProvider value={confab}>`. */
export const ConfabProvider = Context.Provider;

/** The client that a {@link ConfabProvider} above gives. */
export function useConfab(): Confab {
  const confab = useContext(Context);
  if (!confab) throw new Error("there is no <ConfabProvider> above this component");
  return confab;
}

function useObserved<View>(observed: Observable<View>): View {
  return useSyncExternalStore(observed.subscribe, observed.snapshot, observed.snapshot);
}

/** How the connection is. */
export function useConnection(): ConnectionView {
  return useObserved(useConfab());
}

/** A room and what there is to see of it. It is open as long as a component that uses it is there; in the background nobody asks who
 *  is there. */
export function useRoom(name: string, { background = false }: { background?: boolean } = {}): [RoomView, Room] {
  const room = useConfab().room(name);
  useEffect(() => room.open({ background }), [room, background]);
  return [useObserved(room), room];
}

/** What there is to see of a room, without opening it. */
export function useRoomView(name: string): RoomView {
  return useObserved(useConfab().room(name));
}

/** The messages of a room, the oldest first. */
export function useMessages(name: string): readonly Shown[] {
  return useRoom(name)[0].messages;
}

/** Who else is typing in a room. */
export function useTyping(name: string): readonly string[] {
  return useRoomView(name).typing;
}
