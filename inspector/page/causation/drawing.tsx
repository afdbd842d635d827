/** The causation tree as a drawing that one scrolls, drags, scales and walks through by keys. */
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { count, shortened } from "../words.ts";
import type { Branch, Opened, Row } from "./tree.ts";

/** Sizes of a node and the space around it, in px. */
const [WIDTH, HEIGHT, APART, BELOW, MARGIN] = [180, 42, 32, 10, 14];
const [LEAST, MOST_SCALE] = [0.3, 1.6];
/** The least scale that is begun with. */
const READABLE = 0.75;

/** The arguments of {@linkcode Drawing}. */
export interface DrawingProps {
  readonly rows: readonly Row[];
  readonly opened: Opened;
  readonly eventId: string;
  readonly selected: string;
  readonly onSelect: (id: string) => void;
  /** Opens or closes a branch. */
  readonly onToggle: (branch: Branch) => void;
  /** Shows more effects of a branch. */
  readonly onMore: (branch: Branch) => void;
}

const xOf = (x: number) => MARGIN + x * (WIDTH + APART);
const yOf = (y: number) => MARGIN + y * (HEIGHT + BELOW);

/** Draws rows. */
export function Drawing(props: DrawingProps): VNode {
  const { rows, selected, eventId, opened, onSelect, onToggle } = props;
  const [scale, setScale] = useState(1);
  const box = useRef<HTMLDivElement>(null);
  const width = xOf(Math.max(0, ...rows.map(({ x }) => x)) + 1) - APART + MARGIN;
  const height = yOf(Math.max(0, ...rows.map(({ y }) => y)) + 1);
  const nodes = rows.filter((row) => row.kind === "node");
  const at = nodes.findIndex(({ branch }) => branch.node.id === selected);
  const places = new Map(nodes.map((row) => [row.branch, row]));
  useLayoutEffect(() => {
    const row = nodes[at];
    if (row !== undefined) bring(box.current!, xOf(row.x) * scale, yOf(row.y) * scale, scale);
  }, [selected, scale]);
  useWheel(box, (factor) => setScale((last) => bounded(last * factor)));
  const keys = (event: KeyboardEvent): void => {
    const row = nodes[at];
    const branch = row?.branch;
    const to = (other: Branch | undefined) => other && onSelect(other.node.id);
    const isOpen = branch !== undefined && opened.has(branch.node.id);
    const acts: Record<string, () => void> = {
      ArrowDown: () => to(nodes[at + 1]?.branch),
      ArrowUp: () => to(nodes[at - 1]?.branch),
      Home: () => to(nodes[0]?.branch),
      End: () => to(nodes.at(-1)?.branch),
      ArrowRight: () => {
        if (!branch || branch.below === 0) return;
        if (isOpen) to(branch.effects[0]);
        else onToggle(branch);
      },
      ArrowLeft: () => {
        if (branch && isOpen && branch.effects.length > 0) onToggle(branch);
        else to(branch?.parent);
      },
      "+": () => setScale(bounded(scale * 1.2)),
      "-": () => setScale(bounded(scale / 1.2)),
    };
    if (acts[event.key] === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]!();
  };
  const fit = (least = LEAST): void => {
    const { clientWidth } = box.current!;
    const most = Number.parseFloat(getComputedStyle(box.current!).maxHeight);
    setScale(Math.max(least, Math.min(1, clientWidth / width, most / height)));
  };
  useLayoutEffect(() => fit(READABLE), []);
  return (
    <div class="drawing">
      <div class="drawing-tools" role="group" aria-label="Scale">
        <button type="button" aria-label="Smaller" onClick={() => setScale(bounded(scale / 1.2))}>
          −
        </button>
        <button type="button" onClick={() => setScale(1)}>{Math.round(100 * scale)} %</button>
        <button type="button" aria-label="Larger" onClick={() => setScale(bounded(scale * 1.2))}>
          +
        </button>
        <button type="button" onClick={() => fit()}>Fit</button>
      </div>
      <div class="drawing-box" ref={box} {...useDrag(box)}>
        <svg
          role="tree"
          aria-label="Causes and effects"
          aria-activedescendant={at < 0 ? undefined : `node-${at}`}
          tabindex={0}
          width={width * scale}
          height={height * scale}
          viewBox={`0 0 ${width} ${height}`}
          onKeyDown={keys}
        >
          <g class="edges" role="presentation">
            {rows.map((row) => <Edge key={keyOf(row)} row={row} places={places} />)}
          </g>
          {nodes.map((row, index) => (
            <Node
              key={row.branch.node.id}
              id={`node-${index}`}
              row={row}
              isEvent={row.branch.node.id === eventId}
              isSelected={index === at}
              isOpen={opened.has(row.branch.node.id)}
              {...{ onSelect, onToggle }}
            />
          ))}
          {rows.map((row) =>
            row.kind === "more" && (
              <More
                key={keyOf(row)}
                row={row}
                onMore={() => props.onMore(row.branch)}
              />
            )
          )}
        </svg>
      </div>
    </div>
  );
}

const keyOf = ({ kind, branch }: Row) => `${kind} ${branch.node.id}`;
const bounded = (scale: number) => Math.max(LEAST, Math.min(MOST_SCALE, scale));

/** Scrolls a box as little as shows a node. */
function bring(box: HTMLElement, x: number, y: number, scale: number): void {
  const { scrollLeft, scrollTop, clientWidth, clientHeight } = box;
  // What follows from a node is wanted beside it.
  const [right, bottom] = [x + (2 * WIDTH + APART) * scale, y + 4 * HEIGHT * scale];
  if (x - MARGIN < scrollLeft) box.scrollLeft = x - MARGIN;
  else if (right + MARGIN > scrollLeft + clientWidth) {
    box.scrollLeft = Math.min(x - MARGIN, right + MARGIN - clientWidth);
  }
  if (y - MARGIN < scrollTop) box.scrollTop = y - MARGIN;
  else if (bottom + MARGIN > scrollTop + clientHeight) {
    box.scrollTop = bottom + MARGIN - clientHeight;
  }
}

interface EdgeProps {
  readonly row: Row;
  readonly places: ReadonlyMap<Branch, Row>;
}

function Edge({ row, places }: EdgeProps): VNode | null {
  const cause = row.kind === "more" ? row.branch : row.branch.parent;
  const from = cause && places.get(cause);
  if (from === undefined) return null;
  const [x1, y1] = [xOf(from.x) + WIDTH, yOf(from.y) + HEIGHT / 2];
  const [x2, y2] = [xOf(row.x), yOf(row.y) + HEIGHT / 2];
  const middle = x1 + APART / 2;
  const bend = Math.min(8, (y2 - y1) / 2);
  const path = y2 === y1
    ? `M${x1} ${y1}H${x2}`
    : `M${x1} ${y1}H${middle - bend}q${bend} 0 ${bend} ${bend}V${
      y2 - bend
    }q0 ${bend} ${bend} ${bend}H${x2}`;
  return <path d={path} />;
}

interface NodeProps extends Pick<DrawingProps, "onSelect" | "onToggle"> {
  readonly id: string;
  readonly row: Row;
  readonly isEvent: boolean;
  readonly isSelected: boolean;
  readonly isOpen: boolean;
}

function Node({ id, row, isEvent, isSelected, isOpen, onSelect, onToggle }: NodeProps): VNode {
  const { branch } = row;
  const { node, below } = branch;
  const [title, subtitle] = namesOf(branch);
  const hasEffects = below > 0;
  const kind = node.kind === "outside" ? "outside" : node.command ? "command" : "event";
  return (
    <g
      id={id}
      role="treeitem"
      class={`node ${kind}${isEvent ? " wanted" : ""}${isSelected ? " selected" : ""}`}
      transform={`translate(${xOf(row.x)} ${yOf(row.y)})`}
      aria-selected={isSelected}
      aria-level={row.x + 1}
      aria-expanded={hasEffects ? isOpen : undefined}
      onClick={() => onSelect(node.id)}
    >
      <title>{`${title}, ${subtitle}`}</title>
      <rect width={WIDTH} height={HEIGHT} rx="6" />
      <rect class="stripe" width="4" height={HEIGHT - 12} x="6" y="6" rx="2" />
      <text x="18" y="17" class="title">{shortened(title, 22)}</text>
      <text x="18" y="33" class="subtitle">{shortened(subtitle, 26)}</text>
      {hasEffects && (
        <g
          class="toggle"
          transform={`translate(${WIDTH} ${HEIGHT / 2})`}
          onClick={(event: MouseEvent) => {
            event.stopPropagation();
            onToggle(branch);
          }}
        >
          <rect
            x={isOpen ? -9 : -10}
            y="-9"
            width={isOpen ? 18 : 16 + 7 * count(below).length}
            height="18"
            rx="9"
          />
          <text x={isOpen ? 0 : -2} y="4" text-anchor={isOpen ? "middle" : "start"}>
            {isOpen ? "−" : `+${count(below)}`}
          </text>
        </g>
      )}
    </g>
  );
}

/** The two lines of a node. */
export function namesOf({ node }: Branch): readonly [string, string] {
  if (node.kind === "outside") return ["From outside", node.id];
  if (node.command) return [`→ ${node.command.actorId}`, `command of ${node.actorId}`];
  return [node.eventType, `${node.actorId} @ ${node.version}`];
}

function More(
  { row, onMore }: { readonly row: Row & { readonly kind: "more" }; readonly onMore: () => void },
): VNode {
  const { hidden, omitted } = row;
  const text = hidden > 0
    ? `${count(hidden)} more${omitted > 0 ? `, ${count(omitted)} left out` : ""}`
    : `${count(omitted)} left out`;
  return (
    <g
      class={hidden > 0 ? "rest can" : "rest"}
      transform={`translate(${xOf(row.x)} ${yOf(row.y)})`}
      role="presentation"
      onClick={() => hidden > 0 && onMore()}
    >
      <rect width="150" height={HEIGHT - 14} y="7" rx="6" />
      <text x="14" y={HEIGHT / 2 + 4}>{text}</text>
    </g>
  );
}

/** Scales by the wheel while a control key is held, as browsers do. */
function useWheel(box: { readonly current: HTMLElement | null }, by: (factor: number) => void) {
  useEffect(() => {
    const turn = (event: WheelEvent) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      by(Math.exp(-event.deltaY / 300));
    };
    const element = box.current!;
    element.addEventListener("wheel", turn, { passive: false });
    return () => element.removeEventListener("wheel", turn);
  }, []);
}

/** Moves what a box shows as the mouse drags it; fingers scroll by themselves. */
function useDrag(box: { readonly current: HTMLElement | null }) {
  const start = useRef<Readonly<Record<"x" | "y" | "left" | "top", number>> | undefined>(undefined);
  return {
    onPointerDown(event: PointerEvent): void {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      const { scrollLeft: left, scrollTop: top } = box.current!;
      start.current = { x: event.clientX, y: event.clientY, left, top };
    },
    onPointerMove(event: PointerEvent): void {
      const from = start.current;
      if (from === undefined || event.buttons !== 1) return;
      box.current!.scrollLeft = from.left - (event.clientX - from.x);
      box.current!.scrollTop = from.top - (event.clientY - from.y);
    },
    onPointerUp: (): void => void (start.current = undefined),
  };
}
