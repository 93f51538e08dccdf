;; Two modules of one component each take memory, in the hope of a limit each.
;; ends: parked guest_memory_exhausted memory_limit_bytes
;; === beside
(core module $hog (memory 600)
  (func (export "f")
    (if (i32.eq (memory.grow (i32.const 500)) (i32.const -1)) (then unreachable))))
(core instance $beside (instantiate $hog))
