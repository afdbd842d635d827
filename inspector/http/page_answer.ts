import { page } from "../page.gen.ts";

/** Answers with the page, and the policy that allows what is inside of it and nothing else. */
export function pageAnswer({ method }: Request): Response {
  return new Response(method === "HEAD" ? null : page.html, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": page.csp,
    },
  });
}
