//! One word in several fields taken as one: BM25F.
//!
//! `idf · f / (k1 + f)` with `f = Σ weight · tf / (1 − b + b · len / avg_len)` over the fields, as in Robertson, Zaragoza and
//! Taylor, *Simple BM25 Extension to Multiple Weighted Fields* (2004), with the norm applied field by field as in
//! Zaragoza et al., *Microsoft Cambridge at TREC 13* (2004). Of one field with weight 1 it is BM25.

use super::load::Load;
use super::term::TermOp;
use super::weights::Weights;
use super::window::{Bits, WINDOW, WORDS, each_bit};
use crate::FtsError;
use crate::bm25::{K1, Norm};

/// A word's lists, field by field in the order of the query.
pub(crate) struct CombinedOp<'a> {
    fields: Vec<(TermOp<'a>, f32, Norm)>,
    /// `None` if only matches are wanted.
    weight: Option<f32>,
    frequencies: Vec<f32>,
}

impl<'a> CombinedOp<'a> {
    /// `None` if the word occurs in no field.
    pub(crate) fn new(
        terms: &[(usize, f32)],
        boost: f32,
        load: &'a Load,
        weights: Option<&Weights>,
    ) -> Result<Option<Self>, FtsError> {
        let mut fields = Vec::with_capacity(terms.len());
        for &(term, counts) in terms {
            let Some(cursor) = load.cursor(term)? else { continue };
            let norm = weights.map_or(Norm::new(0, 0), |weights| weights.norm(term));
            fields.push((TermOp::new(load, load.field_of(term), cursor, None), counts, norm));
        }
        let weight = weights.map(|weights| weights.combined(terms, boost));
        let frequencies = vec![0.0; if weight.is_some() { WINDOW } else { 0 }];
        Ok((!fields.is_empty()).then_some(Self { fields, weight, frequencies }))
    }

    pub(crate) fn weight(&self) -> f32 {
        self.weight.unwrap_or(0.0)
    }

    /// No document from `from` on matches before this one.
    pub(crate) fn next(&mut self, from: u32) -> Option<u32> {
        self.fields.iter_mut().filter_map(|(list, ..)| list.next(from)).min()
    }

    /// Marks the documents of the window at `base` that hold the word, and adds their scores if they are wanted.
    pub(crate) fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        scores: Option<&mut [f32]>,
    ) -> Result<(), FtsError> {
        let (Some(weight), Some(scores)) = (self.weight, scores) else {
            for (list, ..) in &mut self.fields {
                list.add(base, bits, None)?;
            }
            return Ok(());
        };
        let k1 = K1 as f32;
        let mut any = [0; WORDS];
        for (list, counts, norm) in &mut self.fields {
            let (counts, norm) = (*counts * k1, *norm);
            list.add_values(base, &mut any, &mut self.frequencies, |tf, len| {
                counts * tf as i32 as f32 / norm.of(len)
            })?;
        }
        each_bit::<FtsError>(&any, |at| {
            let frequency = std::mem::take(&mut self.frequencies[at]);
            scores[at] += match frequency.is_finite() {
                true => weight * frequency / (k1 + frequency),
                false => weight,
            };
            Ok(())
        })?;
        super::eval::unite(bits, &any);
        Ok(())
    }
}
