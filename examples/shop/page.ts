// A page that shows the orders as they go on.
export const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Orders</title>
<h1>Orders</h1>
<table id="orders"></table>
<script type="module">
  const rows = new Map();
  const events = new EventSource("/events");
  events.onmessage = ({ data }) => {
    const { id, eventType } = JSON.parse(data);
    if (!rows.has(id)) {
      const row = document.querySelector("#orders").insertRow(0);
      row.insertCell().textContent = id;
      rows.set(id, row.insertCell());
    }
    rows.get(id).textContent = eventType.slice("Order".length);
  };
  events.addEventListener("problem", ({ data }) => console.error(JSON.parse(data).detail));
</script>
`;
