/**
 * Thrown for a header of a request, or its body, that cannot be followed: the client has to change it.
 * {@linkcode problem} answers it with its status and its message.
 */
export class RequestError extends Error {
  /** The header, or `"body"`. */
  readonly header: string;
  /** 400, or 409 if the header was right once. */
  readonly status: number;

  /** Says what is wrong with the header, or with the body. */
  constructor(header: string, reason: string, status: number = 400) {
    super(`Cannot follow ${header}: ${reason}`);
    this.name = "RequestError";
    this.header = header;
    this.status = status;
  }
}

/** A header's text for a message: quoted, without what is long or unusual. */
export function shown(text: string): string {
  const short = text.length <= 60 ? text : `${text.slice(0, 60)}…`;
  return JSON.stringify(short);
}
