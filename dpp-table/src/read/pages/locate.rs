//! Where a chunk's data pages lie and the first row that begins in each, found by walking them: what a page index would say, but that
//! some writers let pages of lists begin within a row, where they write no index.

use parquet::file::page_index::offset_index::PageLocation;

use crate::read::columns::runs::Runs;
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DataPage, PageWalk};

impl PageWalk {
    /// All data pages of a chunk with so many rows; `None` where that can't be told, where no row begins in some page, and where
    /// one begins within a row if that is not wanted. Of lists in pages of version 1 the levels have to be unpacked for it; of
    /// others headers suffice. `None`, too, where levels are as in the format's first years: whoever reads listed pages can't.
    pub(crate) fn locate(
        mut self,
        rows: u64,
        within_rows: bool,
    ) -> Result<Option<Vec<PageLocation>>, PageFault> {
        let (mut pages, mut row) = (Vec::new(), 0_u64);
        while let Some((position, header)) = self.peek()? {
            let bytes = i32::try_from(header.bytes + header.compressed_bytes);
            if self.is_of_old()? {
                return Ok(None);
            }
            let page_rows = match self.next_rows()? {
                Some(rows) => {
                    self.skip()?;
                    Some(rows)
                }
                None => {
                    let Some(page) = self.next()? else {
                        return Ok(None);
                    };
                    let (begun, begins_within) = rows_begun(page)?;
                    (!begins_within || within_rows && row > 0).then_some(begun)
                }
            };
            let (Ok(bytes), Some(page_rows @ 1..)) = (bytes, page_rows) else {
                return Ok(None);
            };
            pages.push(PageLocation {
                offset: position.cast_signed(),
                compressed_page_size: bytes,
                first_row_index: row.cast_signed(),
            });
            row += page_rows;
        }
        Ok((row == rows).then_some(pages))
    }
}

/// Rows that begin in a page of lists, and whether its first entry goes on with one that began before.
fn rows_begun(page: DataPage) -> Result<(u64, bool), PageFault> {
    let entries = page.header.levels as usize;
    let levels = page.repetition.unwrap_or_default();
    let mut first = [0_u8];
    Runs::new(levels.clone(), 1).read(&mut first)?;
    let go_on = Runs::new(levels, 1).skip_bits(entries)?;
    Ok(((entries - go_on) as u64, first != [0]))
}
