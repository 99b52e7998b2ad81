// The icons: lines on a grid of 24.
const PATHS = {
  hash: "M4 9h16M4 15h16M10 3 8 21M16 3l-2 18",
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6 6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM20.500 20.500 16 16",
  plus: "M12 5v14M5 12h14",
  send: "M5 12h13M12.500 5.500 19 12l-6.500 6.500",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM8.500 14.500c1 1.200 2.100 1.800 3.500 1.800s2.500-.6 3.500-1.800M9 9.500v.1M15 9.500v.1",
  edit: "M4 20h4L19 9a2.100 2.100 0 0 0-4-3L4 16v4ZM13.500 7.500l3 3",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  copy: "M9 9h10v11H9ZM5 15V4h10",
  check: "M5 12.500 10 17 19 7",
  down: "M12 5v14M6 13l6 6 6-6",
  up: "M12 19V6M6 12l6-6 6 6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z",
  system: "M3.500 5h17v11h-17ZM9 20h6M12 16v4",
  people: "M9 5a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7ZM2.500 20c.4-3.600 3-5.500 6.500-5.500s6.100 1.900 6.500 5.500M16 5.300a3.500 3.500 0 0 1 0 6.400M17.500 14.900c2.300.6 3.700 2.300 4 5.100",
  clock: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17ZM12 7.500V12l3 2",
  alert: "M12 4 2.800 20h18.400ZM12 10v4.500M12 17.300v.1",
  shield: "M12 3 5 6v5.500c0 4.300 2.900 7.600 7 9.500 4.100-1.900 7-5.200 7-9.500V6ZM9 12l2.200 2.200L15.200 10",
  leave: "M14 4H5v16h9M10 12h10.500M17 8.500l3.500 3.500-3.500 3.500",
  bell: "M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15ZM10 20.500h4",
  bellOff: "M6 16.500V11c0-1 .2-1.900.6-2.700M9 5.800A6 6 0 0 1 18 11v4M4.500 18h12.500M10 20.500h4M4 3.500 20.500 20",
  power: "M12 3.500v8.500M7 6.500a7.500 7.500 0 1 0 10 0",
  keyboard: "M3 6.500h18v11H3ZM6.500 10v.1M10 10v.1M13.500 10v.1M17.500 10v.1M7 14h10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** A button with an icon only: its label is what screen readers say and what stands beside the pointer. */
export function IconButton({ name, label, size, ...more }: { name: IconName; label: string; size?: number } & React.ComponentProps<"button">) {
  return (
    <button type="button" aria-label={label} title={label} {...more} className={`icon-button ${more.className ?? ""}`}>
      <Icon name={name} size={size} />
    </button>
  );
}
