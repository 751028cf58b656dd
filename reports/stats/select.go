package stats

import "math"

// order maps a float64 to a uint64 so that the order stays.
func order(f float64) uint64 {
	b := math.Float64bits(f)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

func disorder(u uint64) float64 {
	if u>>63 == 1 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

// smallest returns the smallest number in [low, high] of which count says at least k. With count
// the number of values that are not larger, it is the k-th smallest value. It halves the at most
// 2^64 numbers between, so it takes at most 64 counts and needs no memory for the values.
func smallest(low, high float64, k int, count func(float64) int) float64 {
	a, b := order(low), order(high)
	for a < b {
		mid := a + (b-a)/2
		if count(disorder(mid)) >= k {
			b = mid
		} else {
			a = mid + 1
		}
	}
	return disorder(a)
}

// sums counts the pairs with a[i]+b[j] <= t in O(len(a)+len(b)); a and b are sorted.
func sums(a, b []float64, t float64) int {
	count, j := 0, len(b)
	for _, v := range a {
		for j > 0 && v+b[j-1] > t {
			j--
		}
		count += j
	}
	return count
}

// nthDifference returns the k-th smallest (from 1) of b[j]-a[i]; minusA is sorted, as is b.
func nthDifference(minusA, b []float64, k int) float64 {
	low, high := minusA[0]+b[0], minusA[len(minusA)-1]+b[len(b)-1]
	return smallest(low, high, k, func(t float64) int { return sums(minusA, b, t) })
}

// nthWalsh returns the k-th smallest (from 1) of the Walsh averages (x[i]+x[j])/2, i <= j; x is
// sorted.
func nthWalsh(x []float64, k int) float64 {
	return smallest(2*x[0], 2*x[len(x)-1], k, func(t float64) int {
		twice := sums(x, x, t) // each pair but those of a value with itself
		for _, v := range x {
			if v+v > t {
				break
			}
			twice++
		}
		return twice / 2
	}) / 2
}
