package gossip

import (
	"log"
	"log/slog"
	"strings"
)

// logger passes memberlist's lines on to slog at debug level: what matters of
// them reaches the caller as events and errors.
func logger(to *slog.Logger) *log.Logger {
	return log.New(slogWriter{to}, "", 0)
}

type slogWriter struct{ to *slog.Logger }

func (w slogWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := "DEBUG"
	if rest, found := strings.CutPrefix(text, "["); found {
		level, text, _ = strings.Cut(rest, "] ")
	}
	w.to.Debug(strings.TrimPrefix(text, "memberlist: "), "memberlist_level", level)
	return len(line), nil
}
