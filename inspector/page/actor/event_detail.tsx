/** One event: its data, where it comes from and leads to, and how it is stored. */
import type { VNode } from "preact";
import type { EventView } from "../answers.ts";
import { Json } from "../parts/json.tsx";
import { Badge, Trouble, When } from "../parts/say.tsx";
import { href } from "../route.ts";
import { count, size } from "../words.ts";
import { pathsOf } from "./changes.tsx";
import { differences } from "./states.ts";

/** Metadata that has a line of its own. */
const KNOWN = new Set(["correlationId", "causationId"]);

/** The arguments of {@linkcode EventDetail}. */
export interface EventDetailProps {
  readonly event: EventView;
}

/** Shows an event: its data, then all else. */
export function EventDetail({ event }: EventDetailProps): VNode {
  return (
    <div class="detail">
      <EventData event={event} />
      <EventFacts event={event} />
    </div>
  );
}

/** Shows what an event says, and where to go from it. */
export function EventData({ event }: EventDetailProps): VNode {
  const { id, data, error, metadata = {}, sequence, stored } = event;
  return (
    <>
      <div class="detail-links">
        <a class="button" href={href("why", id, { position: sequence })}>
          Causes and effects
        </a>
        {metadata.causationId !== undefined && (
          <a class="button" href={href("why", metadata.causationId)}>Its cause</a>
        )}
      </div>
      {error !== undefined && <Trouble text={`It cannot be read: ${error}`} />}
      <Data event={event} />
      {data === undefined && error === undefined && stored?.text === undefined && (
        <p class="note">It has no data.</p>
      )}
    </>
  );
}

/** Shows an event's metadata, and how it is stored. */
export function EventFacts({ event }: EventDetailProps): VNode {
  const { id, metadata = {}, sequence, commit, commandId } = event;
  const others = Object.entries(metadata).filter(([key]) => !KNOWN.has(key));
  return (
    <dl class="pairs">
      <Pair name="Event id" value={id} />
      {event.timestamp !== undefined && (
        <Pair name="Happened" value={<When time={event.timestamp} />} />
      )}
      {metadata.correlationId !== undefined && (
        <Pair name="Correlation" value={metadata.correlationId} />
      )}
      {metadata.causationId !== undefined && <Pair name="Cause" value={metadata.causationId} />}
      {commandId !== undefined && <Pair name="Command" value={commandId} />}
      {others.map(([key, value]) => <Pair key={key} name={key} value={value} />)}
      {sequence !== undefined && <Pair name="Position" value={count(sequence)} />}
      {commit !== undefined && (
        <Pair
          name="Saved with"
          value={commit.count === 1
            ? "nothing else"
            : `${commit.index + 1} of ${commit.count} in one commit`}
        />
      )}
      <Stored event={event} />
    </dl>
  );
}

function Data({ event: { data, stored } }: EventDetailProps): VNode {
  const isUpcast = stored !== undefined && stored.schema < stored.newest &&
    stored.data !== undefined;
  if (!isUpcast) {
    return (
      <>
        {data !== undefined && <Json value={data} label="Data" />}
        {data === undefined && stored?.text !== undefined && <pre class="raw">{stored.text}</pre>}
      </>
    );
  }
  const marked = pathsOf(differences(stored.data, data));
  return (
    <div class="schemas">
      <div>
        <h4>
          As saved <Badge>schema {stored.schema}</Badge>
        </h4>
        <Json value={stored.data} label={`Data as saved, schema ${stored.schema}`} />
      </div>
      <div>
        <h4>
          As read <Badge kind="accent">schema {stored.newest}</Badge>
        </h4>
        <Json value={data} marked={marked} label={`Data as read, schema ${stored.newest}`} />
      </div>
    </div>
  );
}

function Stored({ event: { stored } }: EventDetailProps): VNode | null {
  if (stored === undefined) return null;
  const { schema, newest, bytes, at, message, subject } = stored;
  return (
    <>
      <Pair
        name="Schema"
        value={schema === newest ? `${schema}` : `${schema}, read as ${newest}`}
      />
      <Pair name="Body" value={size(bytes)} />
      {at !== undefined && <Pair name="Stored" value={<When time={at} />} />}
      {message !== undefined && <Pair name="Message" value={count(message)} />}
      {subject !== undefined && <Pair name="Subject" value={subject} />}
    </>
  );
}

function Pair(
  { name, value }: { readonly name: string; readonly value: string | VNode },
): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="id">{value}</dd>
    </div>
  );
}
