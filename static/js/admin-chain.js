// Fallback chains in the admin: buttons that move a line up or down.
// Without this script the places are numbers that one changes by hand.

function button(text, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

function renumber(body) {
  [...body.rows].forEach((row, index) => {
    row.querySelector("input[name$='-place']").value = index + 1;
  });
}

function move(row, by) {
  const body = row.parentElement;
  const other = by < 0 ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  body.insertBefore(by < 0 ? row : other, by < 0 ? other : row);
  renumber(body);
  row.querySelector("button").focus();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const row of document.querySelectorAll("table.chain tbody tr")) {
    const cell = row.cells[0];
    cell.querySelector("input").hidden = true;
    cell.append(
      button("↑", "Move up", () => move(row, -1)),
      button("↓", "Move down", () => move(row, 1)),
    );
  }
});
