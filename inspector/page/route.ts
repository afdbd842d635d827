/** Where the page is: kept behind the `#`, which no browser sends to a server. */
import { useEffect, useState } from "preact/hooks";

/** A place in the page. */
export interface Route {
  /** The view. */
  readonly view: string;
  /** The subject of the view, such as an actor's id. */
  readonly id: string | undefined;
  /** More about it. */
  readonly params: URLSearchParams;
  /** The address behind the `#` that this was read from. */
  readonly hash: string;
}

/** The arguments of each view. */
export interface ViewProps {
  readonly route: Route;
}

/** Parameters of an address; what is `undefined` is left out. */
export type Params = Readonly<Record<string, string | number | undefined>>;

/** The address of a place. */
export function href(view: string, id?: string, params: Params = {}): string {
  const entries = Object.entries(params).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(entries.map(([key, value]) => [key, String(value)]));
  const path = id === undefined ? view : `${view}/${encodeURIComponent(id)}`;
  return entries.length === 0 ? `#/${path}` : `#/${path}?${query}`;
}

/** Goes to an address; `replace` leaves the one before out of the browser's history. */
export function go(
  address: string,
  { replace = false }: { readonly replace?: boolean } = {},
): void {
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The place that the page is at. */
export function useRoute(): Route {
  const [route, setRoute] = useState(present);
  useEffect(() => {
    const change = () => setRoute(present());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return route;
}

function present(): Route {
  const { hash } = location;
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", id] = path.split("/", 2);
  return { view: view || "store", id: decoded(id), params: new URLSearchParams(query), hash };
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}
