;; Dot products of one query with many rows of a matrix of float32, four numbers at a time.
;;
;; All arguments are byte addresses in the memory, or counts. A vector takes `stride` bytes, a multiple of 16; what it has beyond its
;; dimension is zero, in the query too. For each of `count` row numbers (u32) at `rows`, the dot product of the query with the vector at
;; `values + row * stride` is written (f32) to `scores`.
(module
  (import "kernel" "memory" (memory 0))
  (func (export "scoreRows")
    (param $query i32) (param $values i32) (param $stride i32) (param $rows i32) (param $count i32) (param $scores i32)
    (local $q i32) (local $v i32) (local $queryEnd i32) (local $unrolledEnd i32) (local $rowsEnd i32)
    ;; Four sums, so that an addition need not wait for the one before.
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $queryEnd (i32.add (local.get $query) (local.get $stride)))
    (local.set $unrolledEnd
      (i32.add (local.get $query) (i32.and (local.get $stride) (i32.const -64))))
    (local.set $rowsEnd (i32.add (local.get $rows) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $rows) (local.get $rowsEnd)))
        (local.set $q (local.get $query))
        (local.set $v
          (i32.add (local.get $values) (i32.mul (i32.load (local.get $rows)) (local.get $stride))))
        (local.set $a (v128.const f32x4 0 0 0 0))
        (local.set $b (v128.const f32x4 0 0 0 0))
        (local.set $c (v128.const f32x4 0 0 0 0))
        (local.set $d (v128.const f32x4 0 0 0 0))
        (block $unrolledDone
          (loop $unrolled
            (br_if $unrolledDone (i32.ge_u (local.get $q) (local.get $unrolledEnd)))
            (local.set $a (f32x4.add (local.get $a)
              (f32x4.mul (v128.load (local.get $q)) (v128.load (local.get $v)))))
            (local.set $b (f32x4.add (local.get $b)
              (f32x4.mul (v128.load offset=16 (local.get $q)) (v128.load offset=16 (local.get $v)))))
            (local.set $c (f32x4.add (local.get $c)
              (f32x4.mul (v128.load offset=32 (local.get $q)) (v128.load offset=32 (local.get $v)))))
            (local.set $d (f32x4.add (local.get $d)
              (f32x4.mul (v128.load offset=48 (local.get $q)) (v128.load offset=48 (local.get $v)))))
            (local.set $q (i32.add (local.get $q) (i32.const 64)))
            (local.set $v (i32.add (local.get $v) (i32.const 64)))
            (br $unrolled)))
        (block $restDone
          (loop $rest
            (br_if $restDone (i32.ge_u (local.get $q) (local.get $queryEnd)))
            (local.set $a (f32x4.add (local.get $a)
              (f32x4.mul (v128.load (local.get $q)) (v128.load (local.get $v)))))
            (local.set $q (i32.add (local.get $q) (i32.const 16)))
            (local.set $v (i32.add (local.get $v) (i32.const 16)))
            (br $rest)))
        (local.set $a (f32x4.add
          (f32x4.add (local.get $a) (local.get $b))
          (f32x4.add (local.get $c) (local.get $d))))
        (f32.store (local.get $scores)
          (f32.add
            (f32.add (f32x4.extract_lane 0 (local.get $a)) (f32x4.extract_lane 1 (local.get $a)))
            (f32.add (f32x4.extract_lane 2 (local.get $a)) (f32x4.extract_lane 3 (local.get $a)))))
        (local.set $rows (i32.add (local.get $rows) (i32.const 4)))
        (local.set $scores (i32.add (local.get $scores) (i32.const 4)))
        (br $nextRow)))))
