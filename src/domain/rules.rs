//! Stub.
#![allow(missing_docs, clippy::all)]
use super::{
    calendar::Calendar, fee::Money, form::SalaryPeriod, ground::GroundCatalogue,
    workflow::definition::Definition,
};
use chrono::NaiveDate;
#[derive(Debug)]
pub struct Rates;
#[derive(Debug)]
pub struct MissingRate;
impl std::fmt::Display for MissingRate {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
pub struct Price {
    pub amount: Money,
    pub rule: String,
}
pub struct Threshold {
    pub amount: Money,
    pub period: SalaryPeriod,
}
impl Rates {
    pub fn price(&self, _: &str, _: &str, _: NaiveDate, _: u32) -> Result<Price, MissingRate> {
        Err(MissingRate)
    }
    pub fn threshold(&self, _: &str, _: NaiveDate) -> Result<Threshold, MissingRate> {
        Err(MissingRate)
    }
}
#[derive(Debug)]
pub struct Rulebook {
    pub definitions: Vec<Definition>,
    pub rates: Rates,
    pub grounds: GroundCatalogue,
    pub calendar: Calendar,
}
impl Rulebook {
    pub fn definition(&self, track: &str, version: u32) -> Option<&Definition> {
        self.definitions.iter().find(|d| d.track == track && d.version == version)
    }
    pub fn current(&self, track: &str, _on: NaiveDate) -> Option<&Definition> {
        self.definitions.iter().find(|d| d.track == track)
    }
}
