package coord

// fakeStore is what lies on disk, and survives a crash.
type fakeStore struct {
	state    []byte // the newest that the core had kept
	progress []byte
	steps    int64    // that are on record
	view     uint64   // the newest that was told
	open     Progress // of what was told, not all of which is on record
}

// keep writes a state, and with it what was told before.
func (w *world) keep(s *State) {
	w.store.state, w.store.steps = s.encode(), w.published
	if s.View.GetGeneration() > w.view.GetGeneration() {
		if w.store.view != w.view.GetGeneration() {
			w.t.Errorf("generation %d was not told", w.view.GetGeneration())
		}
		w.check(s.View)
		w.view = s.View
	}
}

// record puts what was told on record.
func (w *world) record() {
	if w.core == nil || w.store.open.Step == 0 {
		return
	}
	w.store.progress, w.store.steps = w.store.open.encode(), w.published
	w.feed(Recorded{w.store.open.Generation, w.store.open.Step})
}

// breakDown has the core crash in the midst of what it has decided. What it sends
// reaches some, and others not any more.
func (w *world) breakDown(decisions []Decision) {
	cut := map[Conn]bool{}
	for _, d := range decisions[:w.IntN(len(decisions)+1)] {
		if s, sent := d.(Send); sent {
			cut[s.Conn] = cut[s.Conn] || w.IntN(3) == 0
			if cut[s.Conn] {
				continue
			}
		}
		w.carryOut(d)
	}
	w.crash()
}

func (w *world) crash() {
	if w.core == nil || w.done != nil {
		return
	}
	w.core, w.doomed, w.queue = nil, false, nil
	w.crashes++
	for _, n := range w.nodes {
		n.link.conn, n.link.open = 0, false
	}
}

// comeBack has a core go on from the store. Whoever is there attaches in time.
func (w *world) comeBack() {
	if w.core != nil || w.done != nil {
		return
	}
	s, err := decodeState(w.store.state, w.store.progress)
	if err != nil {
		w.t.Fatalf("the core cannot come back: %v", err)
	}
	w.core = Restore(w.config, s)
	w.published = w.core.applied()
	w.store.open = s.Recorded
	if w.published > w.store.steps {
		w.t.Errorf("the core comes back after step %d, and only %d are on record", w.published, w.store.steps)
	}
	w.feed(tickAt(w.now))
	w.feed(CameBack{w.store.view == s.View.GetGeneration()})
}
