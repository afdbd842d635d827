import { page } from "../page.ts";

let policy: Promise<string> | undefined;

/** Answers with the page. */
export async function pageAnswer({ method }: Request): Promise<Response> {
  policy ??= policyOf(page.html);
  return new Response(method === "HEAD" ? null : page.html, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": await policy,
    },
  });
}

/** A policy that allows the scripts and styles inside of a page, requests to its server, and nothing else. */
export async function policyOf(html: string): Promise<string> {
  const [scripts, styles] = await Promise.all([
    hashesOf(html, /<script(?:\s[^>]*)?>([^]*?)<\/script>/gi),
    hashesOf(html, /<style(?:\s[^>]*)?>([^]*?)<\/style>/gi),
  ]);
  return [
    "default-src 'none'",
    `script-src ${scripts}`,
    `style-src ${styles}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** The hashes of what the pattern finds. */
async function hashesOf(html: string, pattern: RegExp): Promise<string> {
  const found = [...html.matchAll(pattern)].map(([, content]) => content!);
  const hashes = await Promise.all(found.map(async (content) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(content));
    return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
  }));
  return hashes.length === 0 ? "'none'" : hashes.join(" ");
}
