package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// between draws a time that depends on the seed and on what it is for, and on
// nothing that was drawn before.
func (s *Scenario) between(least, most time.Duration, what ...any) time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, what...)
	r := rand.New(rand.NewPCG(s.Seed, h.Sum64()))
	return least + time.Duration(r.Int64N(int64(most-least)))
}
