// Runs before the first paint, so that a chosen theme does not flash: html[data-theme] is set only if somebody chose
// one.
try {
  const theme = localStorage.getItem("minutely-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* no storage: the system's theme */ }
