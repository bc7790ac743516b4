// Filters of the differences, copy buttons, folds. Nothing here is needed to read the report.
"use strict";
(() => {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const one = (selector, root) => (root || document).querySelector(selector);
  const number = (count) => count.toLocaleString("en-US");
  const NAMES = ["level", "reachable", "flag", "waived"];

  // One table for each serving side. All of them follow the same filter, which lies in the fragment of the address.
  const tables = all(".differences").map((section) => ({
    form: one("form", section),
    count: one("output", section),
    groups: all(".group", section).map((row) => ({
      row,
      note: one(".matching", row),
      items: all(".difference", row).map((item) => ({ item, data: item.dataset, words: null })),
    })),
  }));
  const total = (table) => table.groups.reduce((sum, group) => sum + group.items.length, 0);

  const words = (group, entry) => {
    if (entry.words === null) {
      // The row's own cells belong to each of its differences.
      const row = all("th, .values, .why > p", group.row).filter((cell) => !cell.closest(".difference"));
      entry.words = [...row, entry.item].map((cell) => cell.textContent).join("\n").toLowerCase();
    }
    return entry.words;
  };

  const known = (name, value) =>
    name === "verdict"
      ? tables.some((table) => one(`input[value="${CSS.escape(value)}"]`, table.form))
      : tables.some((table) => all(`select[name=${name}] option`, table.form).some((option) => option.value === value));

  const parse = (fragment) => {
    const given = new URLSearchParams(fragment);
    const state = { verdict: (given.get("verdict") || "").split(",").filter((value) => known("verdict", value)) };
    for (const name of NAMES) {
      const value = given.get(name) || "";
      state[name] = known(name, value) ? value : "";
    }
    state.text = given.get("text") || "";
    return state;
  };

  const written = (state) => {
    const given = new URLSearchParams();
    if (state.verdict.length) given.set("verdict", state.verdict.join(","));
    for (const name of [...NAMES, "text"]) if (state[name]) given.set(name, state[name]);
    return given.toString();
  };

  const read = (form) => {
    const state = { verdict: all("[name=verdict]:checked", form).map((box) => box.value), text: form.elements.text.value };
    for (const name of NAMES) state[name] = form.elements[name].value;
    return state;
  };

  const show = (form, state) => {
    for (const box of all("[name=verdict]", form)) box.checked = state.verdict.includes(box.value);
    for (const name of [...NAMES, "text"]) {
      const control = form.elements[name];
      if (control.value !== state[name]) control.value = state[name];
    }
  };

  const matcher = (state) => {
    const sought = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    return (group, entry) =>
      (!state.verdict.length || state.verdict.includes(entry.data.verdict)) &&
      (!state.level || state.level === entry.data.level) &&
      (!state.reachable || state.reachable === entry.data.reachable) &&
      (!state.flag || entry.data.flag.split(" ").includes(state.flag)) &&
      (!state.waived || state.waived === entry.data.waived) &&
      (!sought.length || sought.every((word) => words(group, entry).includes(word)));
  };

  const apply = (state, typing) => {
    const matches = matcher(state);
    const narrowed = written(state) !== "";
    for (const table of tables) {
      if (table.form !== typing) show(table.form, state);
      let differences = 0;
      let rows = 0;
      for (const group of table.groups) {
        let found = 0;
        for (const entry of group.items) {
          const match = matches(group, entry);
          if (entry.item.hidden === match) entry.item.hidden = !match;
          found += match;
        }
        if (group.row.hidden !== !found) group.row.hidden = !found;
        const part = found && found < group.items.length ? `${number(found)} of ${number(group.items.length)} shown` : "";
        if (group.note.textContent !== part) group.note.textContent = part;
        differences += found;
        rows += found > 0;
      }
      const every = `${number(total(table))} differences, ${number(rows)} of ${number(table.groups.length)} rows`;
      table.count.textContent = narrowed ? `Showing ${number(differences)} of ${every}` : table.count.dataset.all;
      table.count.classList.toggle("narrowed", narrowed);
    }
  };

  const remember = (state) => {
    const fragment = written(state);
    // A report within another page (about:srcdoc) has no address of its own: filters work there, but cannot be linked.
    if (location.protocol !== "about:") history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  };

  let waiting = 0;
  const changed = (form) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const state = read(form);
      apply(state, form);
      remember(state);
    }, 80);
  };

  for (const { form } of tables) {
    form.addEventListener("input", () => changed(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => changed(form));
  }

  // -- the address: a filter (#verdict=DRIFTED&level=files) or a place (#s1-d3)

  const follow = () => {
    const fragment = location.hash.slice(1);
    if (fragment.includes("=")) {
      apply(parse(fragment));
      if (tables.length) tables[0].form.scrollIntoView();
      return;
    }
    const place = fragment && document.getElementById(fragment);
    if (!place) return;
    if (place.hidden) apply(parse(""));
    const fold = one("details", place);
    if (fold && place.classList.contains("group")) fold.open = true;
    place.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  // -- copy buttons

  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      // No permission, or no clipboard on this origin: the older way, which leaves the text selected if it fails too.
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  };
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const done = await copy(one(".copyable", button.parentElement));
      button.textContent = done ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // -- folds

  for (const button of all(".unfold")) {
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-pressed") !== "true";
      for (const fold of all("details", button.closest("section"))) fold.open = open;
      button.setAttribute("aria-pressed", String(open));
      button.textContent = open ? "Close folds" : "Open folds";
    });
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
