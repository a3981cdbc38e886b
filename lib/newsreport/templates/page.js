// Without JavaScript the tables read as they are, and scroll where they are wide.
for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (!body || !heads.length) continue;

  // On a phone a table with long texts is shown as cards: each cell under the name of its column.
  const cells = [...body.rows].flatMap((row) => [...row.cells]);
  if (cells.some((cell) => cell.textContent.length > 60)) table.classList.add("cards");
  for (const row of body.rows) {
    [...row.cells].forEach((cell, column) => (cell.dataset.label = heads[column]?.textContent.trim() ?? ""));
  }

  // A click on a column's head sorts by it.
  if (body.rows.length < 3) continue;
  const value = (row, column) => (row.cells[column]?.textContent ?? "").trim();
  const number = (text) => parseFloat(text.replace(/,/g, "").replace("−", "-"));
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [row, value(row, column)]);
      const numbers = rows.every(([, text]) => text === "" || !Number.isNaN(number(text)));
      rows.sort(([, a], [, b]) => sign * (numbers ? (number(a) || 0) - (number(b) || 0) : a.localeCompare(b, "en", { numeric: true })));
      body.append(...rows.map(([row]) => row));
    });
  });
}
