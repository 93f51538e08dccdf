;; Computes what differs from machine to machine.
;; ends: refused module_refused
;; === component
(component
  (core module
    (func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))
