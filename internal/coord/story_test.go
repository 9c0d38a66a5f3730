package coord

import (
	"fmt"
	"strings"
)

// tell tells the story of a schedule that is played alone: an event, and what the core
// decides.
func (w *world) tell(e Event, decisions []Decision) {
	if _, tick := e.(Tick); *oneSeed < 0 || tick && len(decisions) == 0 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", w.now.UTC().Format("05.0"), w.showEvent(e))
	for _, d := range decisions {
		b.WriteString("\n      " + w.showDecision(d))
	}
	w.t.Log(b.String())
}

func (w *world) showEvent(e Event) string {
	if r, received := e.(Received); received && r.Message.GetHeartbeat() != nil {
		return "heartbeat"
	}
	switch e := e.(type) {
	case Attached:
		return fmt.Sprintf("%s attaches as %d %v", e.Hello.NodeId, e.Conn, e.Hello.Reattach)
	case Received:
		return fmt.Sprintf("%s (%d) says %v", w.conns[e.Conn].name, e.Conn, e.Message)
	case Lost:
		return fmt.Sprintf("%d is lost", e.Conn)
	}
	return fmt.Sprintf("%T %v", e, e)
}

func (w *world) showDecision(d Decision) string {
	if s, sent := d.(Send); sent {
		return fmt.Sprintf("to %s: %s", w.conns[s.Conn].name, showMessage(s.Message))
	}
	return new(script).show(d)
}
