/** A list of any length: only the rows in sight are elements. */
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows kept above and below those in sight. */
const SPARE = 6;

/** The arguments of {@linkcode VirtualList}. */
export interface VirtualListProps {
  /** A name for those who do not see it. */
  readonly label: string;
  readonly length: number;
  /** The height of a row, in px. */
  readonly rowHeight: number;
  readonly selected: number;
  readonly onSelect: (index: number) => void;
  readonly row: (index: number) => VNode;
}

/** Shows a list with one selected row, which the arrow keys move. */
export function VirtualList(
  { label, length, rowHeight, selected, onSelect, row }: VirtualListProps,
): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [{ top, height }, setWindow] = useState({ top: 0, height: 600 });
  const look = () => {
    const { scrollTop = 0, clientHeight = 0 } = box.current ?? {};
    const first = Math.floor(scrollTop / rowHeight);
    setWindow((last) =>
      last.top === first && last.height === clientHeight
        ? last
        : { top: first, height: clientHeight }
    );
  };
  useEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current!;
    const [start, end] = [selected * rowHeight, (selected + 1) * rowHeight];
    const { scrollTop, clientHeight } = element;
    if (start < scrollTop) element.scrollTop = start;
    else if (end > scrollTop + clientHeight) element.scrollTop = end - clientHeight;
    look(); // before it is painted
  }, [selected, rowHeight, length > 0]);
  const from = Math.max(0, top - SPARE);
  const to = Math.min(length, top + Math.ceil(height / rowHeight) + SPARE);
  const page = Math.max(1, Math.floor(height / rowHeight) - 1);
  const moves: Record<string, number> = {
    ArrowDown: selected + 1,
    ArrowUp: selected - 1,
    PageDown: selected + page,
    PageUp: selected - page,
    Home: 0,
    End: length - 1,
  };
  const rows: VNode[] = [];
  // Rows that leave at one end come back at the other, as the same elements.
  const elements = Math.ceil(height / rowHeight) + 2 * SPARE + 1;
  for (let index = from; index < to; index++) {
    rows.push(
      <div
        key={index % elements}
        id={`row-${index}`}
        role="option"
        class="row"
        aria-selected={index === selected}
        aria-setsize={length}
        aria-posinset={index + 1}
        style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
        onClick={() => onSelect(index)}
      >
        {row(index)}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="virtual"
      role="listbox"
      aria-label={label}
      tabIndex={0}
      aria-activedescendant={selected >= from && selected < to ? `row-${selected}` : undefined}
      onScroll={look}
      onKeyDown={(event: KeyboardEvent) => {
        const move = moves[event.key];
        if (move === undefined || length === 0) return;
        event.preventDefault();
        onSelect(Math.max(0, Math.min(length - 1, move)));
      }}
    >
      <div class="spacer" role="presentation" style={{ height: `${length * rowHeight}px` }}>
        {rows}
      </div>
    </div>
  );
}
