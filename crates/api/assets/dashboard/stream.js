// The stream of figures: that it goes on after every break, and how old the last news is.

const STREAM = '/dashboard/api/stream';
/** A connection that is open and says nothing for so long is dead: it is made anew. */
const DEAD_MS = 15_000;
/** From here on the page says that there is no news. */
export const SILENT_MS = 3_000;
const PAUSE_MS = 2_000;

/** `onFrame(name, data)` for each event, `onOpen()` whenever the connection is there (again). */
export function listen({ onFrame, onOpen }) {
  let source;
  let isOpen = false;
  let lastNews = Date.now();
  let retry;

  function open() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(STREAM);
    source.onopen = () => {
      isOpen = true;
      onOpen();
    };
    source.onerror = async () => {
      isOpen = false;
      // The browser comes back from a broken connection by itself, but not from an answer that is no
      // stream, and it does not say which it was.
      if (source.readyState !== EventSource.CLOSED) return;
      await leaveIfSessionIsOver();
      clearTimeout(retry);
      retry = setTimeout(open, PAUSE_MS);
    };
    for (const name of ['live', 'database']) {
      source.addEventListener(name, (event) => {
        lastNews = Date.now();
        onFrame(name, JSON.parse(event.data));
      });
    }
  }

  open();
  let opened = Date.now();
  setInterval(() => {
    if (Date.now() - Math.max(lastNews, opened) < DEAD_MS) return;
    isOpen = false;
    opened = Date.now();
    open();
  }, PAUSE_MS);

  return { isOpen: () => isOpen, silentMs: () => Date.now() - lastNews };
}

/** For every answer: 401 means that the page at this address is the login now. */
export function leaveIfUnauthorized({ status }) {
  if (status === 401) location.assign('/dashboard');
}

async function leaveIfSessionIsOver() {
  const abort = new AbortController();
  try {
    leaveIfUnauthorized(await fetch(STREAM, { signal: abort.signal }));
  } catch {
    // The server is away: the next attempt will tell.
  } finally {
    abort.abort();
  }
}
