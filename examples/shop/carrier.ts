// The carrier, a service outside of the shop that the process calls as an effect.
import type { Carrier } from "./fulfilment.ts";

/** Calls the service at `url`. The order's id is the key: one that is sent again is shipped once. */
export function carrierAt(url: string): Carrier {
  return async (orderId, { signal }) => {
    const response = await fetch(new URL(`/parcels/${encodeURIComponent(orderId)}`, url), {
      method: "POST",
      headers: { "Idempotency-Key": orderId },
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The carrier answers ${response.status}`);
    return text;
  };
}

/** Ships nothing, for the first try. */
export const noCarrier: Carrier = (orderId) => Promise.resolve(`parcel-${orderId}`);
