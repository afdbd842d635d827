/** The page, whole: its scripts and styles are inside. */
export const page: { readonly html: string } = {
  html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Aether inspector</title></head>
<body><h1>Aether inspector</h1><p>The API is at <code>POST /api/…</code>.</p></body></html>
`,
};
