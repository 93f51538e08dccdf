;; Answers well and spins when it is told that its answer was read.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(func (export "cabi_post_transform") (param i32) (loop $l (br $l)))
