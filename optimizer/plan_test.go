package optimizer

import (
	"reflect"
	"slices"
	"testing"
)

var worlds = []int{1, 2, 3, 4, 7}

func plan(t *testing.T, c Config, world int) Plan {
	t.Helper()
	p, err := NewPlan(c, someParams(), world)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanDealsEveryMatrixOnce(t *testing.T) {
	total := plan(t, muonConfig(), 1).Bounds()[1]
	for _, world := range worlds {
		p := plan(t, muonConfig(), world)
		bounds := p.Bounds()
		if len(bounds) != world+1 || bounds[0] != 0 || bounds[world] != total || !slices.IsSorted(bounds) {
			t.Errorf("world %d: bounds %v", world, bounds)
		}
		seen, end := map[string]bool{}, 0
		for _, s := range p.Slots {
			name := someParams()[s.Param].Name
			if seen[name] || s.Offset < end || s.Offset%align != 0 || s.Len != someParams()[s.Param].Len() {
				t.Errorf("world %d: slot %+v of %s", world, s, name)
			}
			seen[name], end = true, s.Offset+s.Len
			if s.Offset < bounds[s.Owner] || end > bounds[s.Owner+1] {
				t.Errorf("world %d: %s at [%d, %d) lies outside rank %d's part %v", world, name, s.Offset, end, s.Owner, bounds)
			}
		}
		if want := map[string]bool{"q": true, "k": true, "up": true, "down": true, "square": true}; !reflect.DeepEqual(seen, want) {
			t.Errorf("world %d: deals %v", world, seen)
		}
	}
}

// TestPlanIsBalanced: a rank that got its last matrix as the least loaded one is
// at most that matrix above the mean.
func TestPlanIsBalanced(t *testing.T) {
	var params []Param
	for i := range 40 {
		rows, cols := 16*(1+i%5), 16*(1+i%3)
		params = append(params, Param{Offset: 1 << 13 * i, Rows: rows, Cols: cols, Kind: Hidden})
	}
	for _, world := range worlds {
		p, err := NewPlan(muonConfig(), params, world)
		if err != nil {
			t.Fatal(err)
		}
		var sum, largest int64
		for _, s := range p.Slots {
			sum += s.Cost
			largest = max(largest, s.Cost)
		}
		if most := slices.Max(p.Costs()); most > sum/int64(world)+largest/4 {
			t.Errorf("world %d: the most loaded rank has %d of %d, the largest matrix costs %d", world, most, sum, largest)
		}
	}
}

func TestPlanIsAPureFunction(t *testing.T) {
	if a, b := plan(t, muonConfig(), 3), plan(t, muonConfig(), 3); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, then %+v", a, b)
	}
	if _, err := NewPlan(muonConfig(), someParams(), 0); err == nil {
		t.Error("a plan for no rank")
	}
}

func TestPlanOfAdamWIsEmpty(t *testing.T) {
	c := muonConfig()
	c.Name = "adamw"
	if p := plan(t, c, 3); len(p.Slots) != 0 || !slices.Equal(p.Bounds(), []int{0, 0, 0, 0}) {
		t.Errorf("%+v", p)
	}
}

func TestCostPerHeadIsSmaller(t *testing.T) {
	q := someParams()[2]
	c := muonConfig()
	if got := c.cost(q); got != 2*6*6*(2*8+6) {
		t.Errorf("whole: %d", got)
	}
	c.PerHead = true
	if got := c.cost(q); got != 4*2*2*2*(2*6+2) {
		t.Errorf("per head: %d", got)
	}
}
