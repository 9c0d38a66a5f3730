package kernels

import (
	"fmt"
	"math"
)

// AdamW is one step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on
// every element, with g = G * GradScale[0]:
//
//	m = Beta1 m + (1-Beta1) g          v = Beta2 v + (1-Beta2) g^2
//	p = p (1 - LR WeightDecay) - LR (m / (1-Beta1^Step)) / (sqrt(v / (1-Beta2^Step)) + Eps)
//
// Step counts from 1.
type AdamW struct {
	P, G, M, V   Buffer // [n], Master type; P, M, V updated
	Work         Buffer // [n], Compute type, a copy of P, written; nil where P itself is used
	GradScale    Buffer // [1], Master type, or nil for 1
	LR           float64
	Beta1, Beta2 float64
	Eps          float64
	WeightDecay  float64
	Step         int
}

// BiasCorrections returns 1-Beta1^Step and 1-Beta2^Step.
func (op AdamW) BiasCorrections() (c1, c2 float64) {
	return 1 - math.Pow(op.Beta1, float64(op.Step)), 1 - math.Pow(op.Beta2, float64(op.Step))
}

// Check says what is wrong with the arguments.
func (op AdamW) Check() error {
	if op.P == nil {
		return fmt.Errorf("adamw: P is missing")
	}
	n := op.P.Len()
	err := firstError(checkLen("G", op.G, n), checkLen("M", op.M, n), checkLen("V", op.V, n), checkScalar("GradScale", op.GradScale))
	if err == nil && op.Work != nil {
		err = checkLen("Work", op.Work, n)
	}
	if err == nil && op.Step < 1 {
		err = fmt.Errorf("step %d: steps count from 1", op.Step)
	}
	if err != nil {
		return fmt.Errorf("adamw: %w", err)
	}
	return nil
}

// Momentum is Muon's accumulation (Jordan et al. 2024), with g = G * GradScale[0]:
//
//	m = Mu m + g          u = g + Mu m (Nesterov), or m
type Momentum struct {
	U, M, G   Buffer // [n], Master type; M updated, U written; U may be G
	GradScale Buffer // [1], Master type, or nil for 1
	Mu        float64
	Nesterov  bool
}

// Check says what is wrong with the arguments.
func (op Momentum) Check() error {
	if op.M == nil {
		return fmt.Errorf("momentum: M is missing")
	}
	n := op.M.Len()
	err := firstError(checkLen("U", op.U, n), checkLen("G", op.G, n), checkScalar("GradScale", op.GradScale))
	if err != nil {
		return fmt.Errorf("momentum: %w", err)
	}
	return nil
}

// Normalize is y = x / (Factor * sqrt(SumSquares[0]) + Eps): Newton-Schulz starts
// from a matrix of spectral norm at most 1.
type Normalize struct {
	Y          Buffer // [n], Compute type
	X          Buffer // [n], Master type
	SumSquares Buffer // [1], Master type
	Factor     float64
	Eps        float64
}

// Check says what is wrong with the arguments.
func (op Normalize) Check() error {
	if op.X == nil {
		return fmt.Errorf("normalize: X is missing")
	}
	err := firstError(checkLen("Y", op.Y, op.X.Len()), checkLen("SumSquares", op.SumSquares, 1))
	if err != nil {
		return fmt.Errorf("normalize: %w", err)
	}
	return nil
}

// Update is p = Decay p - Rate u, the last line of a Muon step.
type Update struct {
	P           Buffer // [n], Master type
	Work        Buffer // [n], Compute type, a copy of P, written; nil where P itself is used
	U           Buffer // [n], Compute or Master type
	Decay, Rate float64
}

// Check says what is wrong with the arguments.
func (op Update) Check() error {
	if op.P == nil {
		return fmt.Errorf("update: P is missing")
	}
	err := checkLen("U", op.U, op.P.Len())
	if err == nil && op.Work != nil {
		err = checkLen("Work", op.Work, op.P.Len())
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

func checkScalar(name string, b Buffer) error {
	if b == nil {
		return nil
	}
	return checkLen(name, b, 1)
}
