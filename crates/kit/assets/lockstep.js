// What makes the pages more pleasant with a script. Everything works without it.
"use strict";

/** Currencies that do not have two decimal places. */
const DIGITS = new Map([
  ...["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"]
    .map((code) => [code, 0]),
  ...["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"].map((code) => [code, 3]),
  ["CLF", 4],
  ["UYW", 4],
]);

/** The server accepts no order of more lines. */
const MOST_LINES = 2000;

/**
 * A typed decimal as an integer of its last place ("1,694.5", 2 → 169450n); null when it is none.
 * A comma stands between thousands only: "0,35" is none, rather than 35.
 */
function parseDecimal(text, digits) {
  const match = /^(-?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?$/.exec(text.trim());
  if (!match) return null;
  const [, sign, whole, fraction = ""] = match;
  if (fraction.length > digits) return null;
  const value = BigInt(whole.replaceAll(",", "") + fraction.padEnd(digits, "0"));
  return sign ? -value : value;
}

/** Tax on a net amount: rounded per line, half away from zero. */
function taxOn(net, basisPoints) {
  const scaled = net * basisPoints;
  return (scaled + (scaled < 0n ? -5000n : 5000n)) / 10000n;
}

/** An amount in minor units for people: 169400n, 2 → "1,694.00". */
function showAmount(minor, digits) {
  const plain = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, "0");
  const cut = plain.length - digits;
  const whole = plain.slice(0, cut).replace(/\B(?=(\d{3})+$)/g, ",");
  return (minor < 0n ? "−" : "") + whole + (digits ? "." + plain.slice(cut) : "");
}

/** What one line comes to: null while it is not complete, undefined when something in it is wrong. */
function lineAmounts({ quantity, unitPrice, tax }, digits) {
  if (!quantity.trim() || !unitPrice.trim()) return null;
  const count = parseDecimal(quantity, 0);
  const price = parseDecimal(unitPrice, digits);
  const basisPoints = parseDecimal(tax.trim() || "0", 2);
  if (count === null || price === null || basisPoints === null) return undefined;
  if (count < 1n || price < 0n || basisPoints < 0n) return undefined;
  const net = count * price;
  return { net, tax: taxOn(net, basisPoints) };
}

/** The order form: lines come and go without asking the server, and the amounts follow what is typed. */
function orderForm(form) {
  const body = form.querySelector("[data-lines]");
  const status = form.querySelector("[data-line-status]");
  const rows = () => [...body.querySelectorAll("[data-line]")];
  const field = (row, name) => row.querySelector(`[name$=".${name}"]`);

  const write = (output, text) => {
    if (output && output.value !== text) output.value = text;
  };

  const recompute = () => {
    const currency = form.elements.namedItem("currency");
    const code = currency?.value.trim().toUpperCase() ?? "";
    const digits = Number(currency?.selectedOptions?.[0]?.dataset.digits ?? DIGITS.get(code) ?? 2);
    let sum = { net: 0n, tax: 0n };
    for (const row of rows()) {
      const typed = (name) => field(row, name)?.value ?? "";
      const line = lineAmounts(
        { quantity: typed("quantity"), unitPrice: typed("unitPrice"), tax: typed("tax") },
        digits,
      );
      write(row.querySelector("[data-line-net]"), line ? showAmount(line.net, digits) : "–");
      if (line === undefined) sum = null;
      if (line && sum) sum = { net: sum.net + line.net, tax: sum.tax + line.tax };
    }
    const show = (amount) => (sum ? `${showAmount(amount(sum), digits)} ${code}`.trim() : "–");
    write(form.querySelector('[data-total="net"]'), show((s) => s.net));
    write(form.querySelector('[data-total="tax"]'), show((s) => s.tax));
    write(form.querySelector('[data-total="total"]'), show((s) => s.net + s.tax));
  };

  /** Gives a row the number n in all its names, ids, labels and references. */
  const renumber = (row, n) => {
    const number = row.querySelector("[data-line-no]");
    if (number) number.textContent = String(n + 1);
    for (const element of row.querySelectorAll("[name], [id], [for], [aria-describedby], [aria-label]")) {
      for (const attribute of ["name", "id", "for", "aria-describedby"]) {
        const value = element.getAttribute(attribute);
        if (value !== null) element.setAttribute(attribute, value.replace(/^lines([.-])\d+\1/, `lines$1${n}$1`));
      }
      if (element.name === "action") {
        element.value = `remove-line-${n}`;
        element.setAttribute("aria-label", `Remove line ${n + 1}`);
      }
    }
  };

  const clear = (row, keep = []) => {
    for (const input of row.querySelectorAll("input")) {
      if (!keep.some((name) => input.name.endsWith(`.${name}`))) input.value = "";
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    for (const error of row.querySelectorAll(".error")) error.remove();
  };

  const say = (text) => {
    if (status) status.textContent = text;
  };

  const add = () => {
    const all = rows();
    const row = all.at(-1).cloneNode(true);
    // The tax rate stays: most lines of an order have the same.
    clear(row, ["tax"]);
    renumber(row, all.length);
    body.append(row);
    field(row, "sku")?.focus();
    say(`Line ${all.length + 1} added`);
  };

  /** The links of the error summary follow their fields; those to a field that is gone go too. */
  const relink = (removed) => {
    for (const link of document.querySelectorAll('[data-error-summary] a[href^="#lines-"]')) {
      const [, number, name] = /^#lines-(\d+)-(.+)$/.exec(link.getAttribute("href")) ?? [];
      if (number === undefined || Number(number) < removed) continue;
      if (Number(number) === removed) {
        (link.closest("li") ?? link).remove();
      } else {
        link.setAttribute("href", `#lines-${number - 1}-${name}`);
        link.textContent = link.textContent.replace(/^Line \d+/, `Line ${number}`);
      }
    }
  };

  const remove = (row) => {
    const all = rows();
    const n = all.indexOf(row);
    relink(n);
    if (all.length === 1) {
      clear(row);
      field(row, "sku")?.focus();
    } else {
      row.remove();
      const left = rows();
      left.slice(n).forEach((other, i) => renumber(other, n + i));
      left[Math.min(n, left.length - 1)].querySelector('button[name="action"]')?.focus();
    }
    say(`Line ${n + 1} removed`);
  };

  form.addEventListener("click", (event) => {
    const button = event.target.closest?.('button[name="action"]');
    if (button?.value === "add-line" && rows().length > 0 && rows().length < MOST_LINES) {
      event.preventDefault();
      add();
      recompute();
    } else if (button?.value.startsWith("remove-line-") && button.closest("[data-line]")) {
      event.preventDefault();
      remove(button.closest("[data-line]"));
      recompute();
    }
  });
  form.addEventListener("input", recompute);
  form.addEventListener("change", recompute);
  recompute();
}

for (const form of document.querySelectorAll("[data-order-form]")) {
  if (form.querySelector("[data-lines]")) orderForm(form);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// After a mistake the summary is where reading goes on.
document.querySelector("[data-error-summary]")?.focus();
