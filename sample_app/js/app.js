"use strict";

// The page says everything without this file. It only puts the build time on the reader's own clock.
const built = document.getElementById("built");
const age = document.getElementById("age");
const builtAt = new Date(built.dateTime);

if (Number.isNaN(builtAt.getTime())) {
  built.textContent = "not yet";
  age.textContent = "(a preview of the source)";
} else {
  built.textContent = builtAt.toLocaleString();
  age.textContent = `(${timeSince(builtAt)})`;
}

function timeSince(date) {
  const seconds = Math.max(0, (Date.now() - date.getTime()) / 1000);
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds >= length) {
      return words.format(-Math.floor(seconds / length), unit);
    }
  }
  return "just now";
}
