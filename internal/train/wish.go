package train

// Wish is what a rank wants to become of its ring after a step. All ranks hear
// all wishes in the step's exchange, and the strongest is granted to all.
type Wish int32

const (
	GoOn  Wish = iota
	Leave      // leave the ring together, since the view is to change
	Stop       // end the run
)

// Ask makes a wish for the next step's exchange. It may be called from any
// goroutine.
func (t *Trainer) Ask(w Wish) {
	for {
		old := t.wish.Load()
		if int32(w) <= old || t.wish.CompareAndSwap(old, int32(w)) {
			return
		}
	}
}

// ForgetLeave drops a wish to leave, which concerned the view before.
func (t *Trainer) ForgetLeave() { t.wish.CompareAndSwap(int32(Leave), int32(GoOn)) }

// granted is the strongest of all ranks' wishes.
func granted(accounts []account) Wish {
	w := GoOn
	for _, a := range accounts {
		w = max(w, a.wish)
	}
	return w
}
