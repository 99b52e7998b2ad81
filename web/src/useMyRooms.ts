// The rooms that the hub keeps us as a member of, by their names; none where it keeps none.
import type { RoomRow } from "@confab/client";
import { useConfab, useConnection } from "@confab/react";
import { useEffect, useState } from "react";

/** After how many milliseconds it is asked again, where that was refused for the moment. */
const AGAIN = 5000;

export function useMyRooms(): ReadonlyMap<string, RoomRow> {
  const confab = useConfab();
  const { state, roomsChanged } = useConnection();
  const [rooms, setRooms] = useState<ReadonlyMap<string, RoomRow>>(new Map());
  useEffect(() => {
    if (state !== "connected") return;
    let timer: ReturnType<typeof setTimeout>;
    let wanted = true;
    const ask = () => {
      confab.myRooms().then(
        (found) => wanted && setRooms(new Map((found ?? []).map((row) => [row.room, row]))),
        () => wanted && (timer = setTimeout(ask, AGAIN)),
      );
    };
    ask();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [confab, state, roomsChanged]);
  return rooms;
}

/** What a room is called. */
export function titleOf(room: string, row: RoomRow | undefined): string {
  return row?.title || row?.with || room;
}
