;; Fills the same megabyte again and again: few instructions, much work.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l
  (memory.fill (i32.const 65536) (i32.const 0) (i32.const 131072))
  (br $l))
unreachable
