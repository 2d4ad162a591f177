"""The page at the daemon's address, for somebody who opens it in a browser."""

import base64
import hashlib
import html

_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f7f3ea; --ink: #26221c; --soft: #6d6456; --line: #ddd3c0; --accent: #0f6b75; --wash: #e7a93c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #191816; --ink: #ece5d8; --soft: #a39a8a; --line: #383530; --accent: #6fc3cb; --wash: #d9922b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem;
  background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif;
}
main { max-width: 36rem; }
h1 { margin: 0; font: 500 clamp(2.75rem, 9vw, 4.25rem)/1.1 Georgia, "Times New Roman", serif; letter-spacing: -0.02em; }
h1::after {
  content: ""; display: block; height: 0.6rem; margin-top: 0.35rem; border-radius: 0.3rem 1rem 0.5rem 0.9rem;
  background: linear-gradient(90deg, var(--accent), var(--wash) 70%, transparent);
}
p { margin: 1.25rem 0 0; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.35rem 1.5rem; margin: 1.75rem 0 0; padding: 1.25rem 0 0;
  border-top: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; }
a { color: var(--accent); text-underline-offset: 0.2em; }
code { font: 0.9em ui-monospace, monospace; }
small { color: var(--soft); }
"""
_BODY = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scumble</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Scumble</h1>
<p>This is the daemon that repaints pictures, or parts of them, in the manner of others. Krita, GIMP and scripts talk to
it; there is nothing to be done on this page.</p>
<dl>
<dt>Version</dt><dd>{version}, protocol {protocol}</dd>
<dt>Health</dt><dd><a href="/v1/health"><code>GET /v1/health</code></a></dd>
<dt>Every call</dt><dd><a href="/v1/openapi.json"><code>GET /v1/openapi.json</code></a>
<small>(needs the token)</small></dd>
</dl>
<p><small>The token stands in the daemon's runtime file, which only its user can read. It is sent as
<code>Authorization: Bearer TOKEN</code>.</small></p>
</main>
</body>
</html>
"""


def page(version: str, protocol: int) -> str:
    """The page, as HTML."""
    return _BODY.format(style=_STYLE, version=html.escape(version), protocol=protocol)


def policy() -> str:
    """The Content-Security-Policy of the page: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    own = f"default-src 'none'; style-src 'sha256-{digest}'"
    return f"{own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
