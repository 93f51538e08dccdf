;; Waits for a memory cell to change, for ever.
;; ends: refused module_refused
;; === component
(component
  (core module
    (memory 1) (func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))))
