;; Takes memory page by page until it is refused, and dies of that.
;; ends: parked guest_memory_exhausted memory_limit_bytes
;; === body
(loop $l
  (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
  (br $l))
unreachable
