// The run's events as they happen. A stream that breaks resumes behind the last
// event that came; the browser does it, or, where it gives up, we do.

/**
 * Follows the stream behind a cursor. on.event gets every event, on.lost is called
 * when the connection breaks, on.back when it is there again, and on.reset when the
 * server does not know the cursor any more. Returns what ends it.
 */
export function follow(cursor, on) {
  let source, retry;
  const open = () => {
    source = new EventSource(`/api/stream?after=${encodeURIComponent(cursor)}`);
    source.onopen = () => on.back();
    source.onmessage = (m) => {
      cursor = m.lastEventId;
      on.event(JSON.parse(m.data));
    };
    source.addEventListener("reset", () => {
      source.close();
      on.reset();
    });
    source.onerror = () => {
      on.lost();
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, 3000);
    };
  };
  open();
  return () => {
    clearTimeout(retry);
    source.close();
  };
}
