;; Shares memory between threads.
;; ends: refused module_refused
;; === component
(component
  (core module
    (memory 1 1 shared)))
