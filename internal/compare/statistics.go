package compare

import (
	"encoding/json"
	"math"
)

// Stat is a quantity over the seeds.
type Stat struct {
	Values []float64 // by seed
}

// Mean is NaN without values.
func (s Stat) Mean() float64 {
	sum := 0.0
	for _, v := range s.Values {
		sum += v
	}
	return sum / float64(len(s.Values))
}

// Deviation is the standard deviation of one value, estimated from all of them:
// NaN from less than two.
func (s Stat) Deviation() float64 {
	if len(s.Values) < 2 {
		return math.NaN()
	}
	mean, sum := s.Mean(), 0.0
	for _, v := range s.Values {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(s.Values)-1))
}

// FromZero says whether the 95 % confidence interval of the mean leaves out zero.
// From less than two values nobody knows.
func (s Stat) FromZero() bool {
	n := len(s.Values)
	if n < 2 {
		return false
	}
	return math.Abs(s.Mean()) > student95(n-1)*s.Deviation()/math.Sqrt(float64(n))
}

// Minus pairs the values of two quantities by seed.
func (s Stat) Minus(other Stat) Stat {
	var d Stat
	for i, v := range s.Values {
		d.Values = append(d.Values, v-other.Values[i])
	}
	return d
}

// MarshalJSON writes what is unknown as null.
func (s Stat) MarshalJSON() ([]byte, error) {
	values := make([]*float64, len(s.Values))
	for i, v := range s.Values {
		values[i] = finite(v)
	}
	return json.Marshal(map[string]any{"mean": finite(s.Mean()), "deviation": finite(s.Deviation()), "values": values})
}

// finite is nil for what JSON has no number for.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// student95 is the 97.5 % quantile of Student's t distribution, by degrees of
// freedom (any table of it; Cornish and Fisher's expansion to the third term
// beyond ten, where it is right to three digits).
func student95(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	const z = 1.959964
	v := float64(freedom)
	return z + (z*z*z+z)/(4*v) + (5*math.Pow(z, 5)+16*math.Pow(z, 3)+3*z)/(96*v*v)
}
