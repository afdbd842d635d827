import { decodeBase64, encodeBase64 } from "./base64.ts";

/** Bytes of the nonce before each sealed text; random, as keys serve far fewer than 2^32 texts. */
const NONCE_BYTES = 12;

const encoder = /* @__PURE__ */ new TextEncoder();
const strict = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The key in `bytes`, for {@linkcode seal} and {@linkcode unseal}. */
export function importKey(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes.slice(), "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** `text`, sealed by AES-256-GCM, in base64. It opens only with the same `place`. */
export async function seal(key: CryptoKey, text: string, place: unknown): Promise<string> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const plain = encoder.encode(text);
  const sealed = await crypto.subtle.encrypt(algorithm(nonce, place), key, plain);
  const bytes = new Uint8Array(NONCE_BYTES + sealed.byteLength);
  bytes.set(nonce);
  bytes.set(new Uint8Array(sealed), NONCE_BYTES);
  return encodeBase64(bytes);
}

/**
 * The text that was sealed.
 *
 * @throws {TypeError} Something altered it or moved it to another place, or the key is another one.
 */
export async function unseal(key: CryptoKey, sealed: string, place: unknown): Promise<string> {
  try {
    const bytes = decodeBase64(sealed)!;
    const nonce = bytes.slice(0, NONCE_BYTES);
    const content = bytes.slice(NONCE_BYTES);
    return strict.decode(await crypto.subtle.decrypt(algorithm(nonce, place), key, content));
  } catch (cause) {
    const reason = "it was altered or moved, or sealed with another key";
    throw new TypeError(`Cannot open what is sealed: ${reason}`, { cause });
  }
}

function algorithm(iv: Uint8Array<ArrayBuffer>, place: unknown): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: encoder.encode(JSON.stringify(place)) };
}
