/** The page of the inspector: begins when the browser has read it. */
import { render } from "preact";
import { App } from "./app.tsx";

render(<App />, document.getElementById("app")!);
